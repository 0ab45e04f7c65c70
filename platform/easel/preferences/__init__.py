"""What annotations say together: strengths, agreement, reliability, intervals; and what is kept of it for dashboards."""
