"""Judges that stay loaded between the stages of a run, in a process of their own on this machine."""
