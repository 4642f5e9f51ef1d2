"""Take the README's picture: the bundled example, transcribed by the packaged model. Run by `make studio-image`.

Usage: python tests/studio/screenshot.py OUTPUT.png
"""

import sys
from pathlib import Path

from studio_browser import EXAMPLE, choose, chromium, evoxtral_serve, settle

WIDTH, HEIGHT, PIXELS_PER_POINT = 1040, 100, 1.5  # the height grows with the page


def main(output: Path) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    with evoxtral_serve() as address, chromium() as browser:
        page = browser.new_page(
            viewport={"width": WIDTH, "height": HEIGHT}, device_scale_factor=PIXELS_PER_POINT, color_scheme="light"
        )
        page.goto(address)
        choose(page, EXAMPLE)
        page.get_by_role("region", name="Transcript").wait_for()
        settle(page)
        page.screenshot(path=output, full_page=True)
    print(f"{output}: {output.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
