"""The browser that tests use where the machine has none: which one, and how it gets here."""
