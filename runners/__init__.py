"""Making the board true: plan (pure), apply, and the one port to the host. Imports `board`, never `bot`."""
