"""What the engine costs, measured beside the floor of the machine and beside its peers: `python -m bench --help`.

A theme is a module with `measure(settings) -> Iterator[Figure]`. What is measured in processes of their own is in
`programs/`, one program for each contender. Compare figures of one run only: machines differ, and so does their mood.
"""
