"""What terminals show: lines of styled text, and a server's readings drawn with them. Pure: no terminal is touched."""
