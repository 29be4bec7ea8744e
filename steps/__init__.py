"""The taxi booking of the Priority Pass App: step handlers that run on the engine, and the supplier they talk to."""
