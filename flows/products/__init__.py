"""What a user asks for one at a time: meshes of photos, verdicts, an audit, a check-up."""
