"""Parse, call one service function, render."""
