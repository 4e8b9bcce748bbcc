"""Every option of every stage, declared once."""
