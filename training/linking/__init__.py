"""How the linking network was made; see README.md."""
