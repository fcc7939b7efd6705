"""magenet: train MAGE-Net and enhance whole archives of fundus photographs.

In Python:

    from magenet_batch import enhance, assess

    result = enhance("eye.jpg")

The public names load on first use, so `import magenet_batch` itself is cheap.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from magenet_batch.api import (
        EnhancedImage,
        Enhancer,
        FundusImage,
        Quality,
        assess,
        enhance,
        read_image,
    )

__all__ = [
    "EnhancedImage",
    "Enhancer",
    "FundusImage",
    "Quality",
    "__version__",
    "assess",
    "enhance",
    "read_image",
]


def __getattr__(name: str) -> Any:
    """Load a public name on first use."""
    if name in __all__:
        from magenet_batch import api

        value = globals()[name] = getattr(api, name)
        return value
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
