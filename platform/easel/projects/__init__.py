"""Projects, their people and their invitations."""
