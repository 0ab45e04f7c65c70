"""What leaves the platform: exports, and later the frozen snapshots that a fine-tune may train on."""
