"""What annotations say together: strengths, agreement, reliability, intervals. Pure maths without Django."""
