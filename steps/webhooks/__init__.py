"""Messages of suppliers: who sent them (`signatures`), and what they say (`messages`). Pure."""
