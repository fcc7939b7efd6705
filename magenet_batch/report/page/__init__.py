"""From numbers to pictures and HTML."""
