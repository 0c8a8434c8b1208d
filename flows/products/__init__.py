"""What a user asks for about runs: verdicts, an audit, pages of pairs, differences, a check-up."""
