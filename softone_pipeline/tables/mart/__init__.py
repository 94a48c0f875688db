"""mart: answers, derived from core. Rebuilt whole."""
