"""Programs that are measured in processes of their own: ours and those of peers, under one protocol.

A program gets its arguments, prints `ready`, waits for a line, works, and prints one line of JSON.
"""
