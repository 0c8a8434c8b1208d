"""How stages score: measures, washout, the champion."""
