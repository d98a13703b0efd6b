"""A soak: faults at random for minutes on end, while jobs run and viewers watch; then both sides' records, row by row."""
