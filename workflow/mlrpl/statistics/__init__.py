"""How far numbers would move with other test images and other seeds; numpy alone."""
