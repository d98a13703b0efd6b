"""The Router: who asks for what, who allows it, and when it runs. Metadata only; no row of data enters here."""
