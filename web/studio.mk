# The Studio's targets; included by the Makefile at the root and run from there. Needs Node.js 20.9 or newer.

STUDIO := src/evoxtral/server/studio
STUDIO_SOURCES := $(shell find web -type f -not -path '*/node_modules/*' -not -path '*/.next/*' -not -path '*/out/*' \
	-not -name '*.test.ts' -not -name next-env.d.ts -not -name '*.tsbuildinfo' -not -name '*.py' -not -name '*.mk' | LC_ALL=C sort)
STUDIO_TYPES := web/lib/api/schema.ts
# Lines that say which sources the page was built from, and what came of them; kept beside the page.
STUDIO_STAMP := sha256sum $(STUDIO_SOURCES) | sha256sum | cut -c -64
STUDIO_FILES := (cd $(STUDIO) && find . -type f -not -name '*.sha256' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum) \
	| sha256sum | cut -c -64
export NEXT_TELEMETRY_DISABLED := 1

.PHONY: studio studio-check studio-built studio-types studio-images studio-walk

# The static page that the server serves and the wheel holds; built only when its sources are newer.
studio: $(STUDIO)/index.html

$(STUDIO)/index.html: $(STUDIO_SOURCES) web/node_modules/.package-lock.json
	npm --prefix web run build
	rm -rf $(STUDIO)
	cp -R web/out $(STUDIO)
	@$(STUDIO_STAMP) > $(STUDIO)/sources.sha256
	@$(STUDIO_FILES) > $(STUDIO)/files.sha256

web/node_modules/.package-lock.json: web/package.json web/package-lock.json web/.npmrc
	cd web && npm ci
	touch $@

# The types of the server's answers, from its OpenAPI document.
studio-types: $(STUDIO_TYPES).new
	mv $< $(STUDIO_TYPES)

.PHONY: $(STUDIO_TYPES).new
$(STUDIO_TYPES).new: $(VENV)/dev.done web/node_modules/.package-lock.json
	$(BIN)/python web/openapi.py > web/node_modules/.openapi.json
	cd web && npx openapi-typescript node_modules/.openapi.json --output $(@:web/%=%) >/dev/null

# The built page is that of these sources, and whole.
studio-built:
	@test -e $(STUDIO)/index.html || { echo "the page is not built: make studio" >&2; exit 1; }
	@test "$$($(STUDIO_STAMP))" = "$$(cat $(STUDIO)/sources.sha256)" \
		|| { echo "the built page is not that of web/: make studio" >&2; exit 1; }
	@test "$$( $(STUDIO_FILES) )" = "$$(cat $(STUDIO)/files.sha256)" \
		|| { echo "files of the built page were changed: rm -r $(STUDIO) && make studio" >&2; exit 1; }

# Lint, formatting, types and unit tests of the page; that its types are those of the server, and the built page that of
# these sources.
studio-check: studio-built web/node_modules/.package-lock.json $(STUDIO_TYPES).new
	@cmp --silent $(STUDIO_TYPES).new $(STUDIO_TYPES); in_step=$$?; rm $(STUDIO_TYPES).new; test $$in_step = 0 \
		|| { echo "$(STUDIO_TYPES) is out of step with the server: make studio-types" >&2; exit 1; }
	npm --prefix web run check
	npm --prefix web run test

# The README's pictures, of a real transcript by the packaged model.
studio-images: studio $(VENV)/dev.done $(VENV)/chromium.done
	$(BIN)/python tests/studio/pictures.py docs/images

# The README's film; nothing else should be running, or the live text comes late.
studio-walk: studio $(VENV)/dev.done $(VENV)/chromium.done
	$(BIN)/python tests/studio/walk.py docs/images/studio-walk.webp
