"""The people of a project: who is let in, who is paused, how much they may do and have done."""
