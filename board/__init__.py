"""What should be true: the Markdown board, read, edited and kept safe. Imports nothing from `runners` or `bot`."""
