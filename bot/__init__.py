"""Everything that talks to a person: the command line and how replies are rendered."""
