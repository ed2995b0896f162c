"""One module for each command or group of commands; each offers `app`, a Typer application."""
