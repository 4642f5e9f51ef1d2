"use client";

import { Moon, Sun } from "lucide-react";
import { Button } from "@/components/ui/button";
import { Tooltip } from "@/components/ui/tooltip";
import { toggleTheme } from "@/lib/theme";

export function ThemeToggle() {
  return (
    <Tooltip text="Dark or light">
      <Button
        variant="ghost"
        size="icon"
        className="-mr-3"
        aria-label="Switch between dark and light"
        onClick={toggleTheme}
      >
        <Sun aria-hidden className="dark:hidden" />
        <Moon aria-hidden className="hidden dark:block" />
      </Button>
    </Tooltip>
  );
}
