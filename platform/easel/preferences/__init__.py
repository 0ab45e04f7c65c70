"""What annotations say together: strengths, agreement, reliability, intervals; and what dashboards keep of it."""
