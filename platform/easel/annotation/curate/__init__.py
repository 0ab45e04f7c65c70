"""Looking around in what a project has collected: filters, subsets, acts on many items, images that look the same."""
