"""Bookings as rows: identifiers, lifecycle, tables, events. Nothing here knows the taxi company's protocol."""
