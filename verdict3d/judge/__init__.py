"""The VLM judge: panels, prompt, margins in both orders, verdicts and their store."""
