"""Foreign bytes in, our values out: CPU only, so that a child process can be killed over it."""
