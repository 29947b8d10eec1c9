"""The known ways in which a page cache shows one visitor what belongs to another, or falls over."""
