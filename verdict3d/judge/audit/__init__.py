"""Whether a judge may be believed: controls, planted judges, certificates."""
