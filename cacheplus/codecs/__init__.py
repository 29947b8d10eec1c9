"""How values become what a store keeps, and back. Nothing here knows Django, a backend or a clock."""
