"""What a job computes, and which messages its parties exchange. No HTTP and no storage here."""
