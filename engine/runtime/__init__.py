"""Running executions: in memory with virtual time (`simulate`), and durably, to the end, in this process (`inline`)."""
