"""How judges are asked: pairs, certificates, questions, preferences; nothing is asked twice."""
