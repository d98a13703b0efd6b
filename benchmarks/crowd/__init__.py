"""Many who write and many who read at once, for minutes."""
