"""What several tests need: fakes with behaviour, and programs started for real."""
