"""Real and imaginary time, finite temperature, circuits and spectra."""
