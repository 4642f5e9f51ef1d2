# The Studio's targets; included by the Makefile at the root and run from there. Needs Node.js 20.9 or newer.

STUDIO := src/evoxtral/server/studio
STUDIO_SOURCES := $(shell find web -type f -not -path '*/node_modules/*' -not -path '*/.next/*' -not -path '*/out/*' \
	-not -name '*.test.ts' -not -name next-env.d.ts -not -name '*.tsbuildinfo')
export NEXT_TELEMETRY_DISABLED := 1

.PHONY: studio studio-check studio-image

# The static page that the server serves and the wheel holds; built only when its sources are newer.
studio: $(STUDIO)/index.html

$(STUDIO)/index.html: $(STUDIO_SOURCES) web/node_modules/.package-lock.json
	npm --prefix web run build
	rm -rf $(STUDIO)
	cp -R web/out $(STUDIO)

web/node_modules/.package-lock.json: web/package.json web/package-lock.json web/.npmrc
	cd web && npm ci
	touch $@

# Lint, formatting, types and unit tests of the page.
studio-check: web/node_modules/.package-lock.json
	npm --prefix web run check
	npm --prefix web run test

# The README's picture, of a real transcript by the packaged model.
studio-image: studio $(VENV)/dev.done $(VENV)/chromium.done
	$(BIN)/python tests/studio/screenshot.py docs/images/studio.png
