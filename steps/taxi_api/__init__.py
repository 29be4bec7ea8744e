"""The client of the Global Taxi API: one call, one deadline, one classified answer."""
