"use client";

import { LogOut } from "lucide-react";
import { ThemeToggle } from "@/components/theme-toggle";
import { Button } from "@/components/ui/button";
import { Tooltip } from "@/components/ui/tooltip";
import { hashOf, type Route } from "@/lib/route";
import { leave, useServer } from "@/lib/store/server";
import { cn } from "@/lib/utils";

export function Header({ route }: { route: Route | null }) {
  const { capabilities, problem, isKeyWanted } = useServer();
  return (
    <header className="mx-auto flex h-16 w-full max-w-6xl items-center gap-1 px-4 sm:gap-6 sm:px-8">
      <a href={hashOf({ view: "library" })} className="mr-auto font-serif text-xl sm:mr-0" aria-label="Evoxtral">
        <span className="text-accent">[</span>evoxtral<span className="text-accent">]</span>
      </a>
      <nav aria-label="Studio" className="flex text-sm sm:mr-auto">
        <NavLink href={hashOf({ view: "library" })} isHere={route?.view === "library"}>
          Library
        </NavLink>
        <NavLink href={hashOf({ view: "record" })} isHere={route?.view === "record"}>
          Record
        </NavLink>
      </nav>
      <span className="hidden items-center gap-2 text-muted text-sm sm:flex">
        <span
          aria-hidden
          className={cn(
            "size-2 rounded-full",
            problem || isKeyWanted ? "bg-danger" : capabilities ? "bg-non-verbal" : "animate-pulse bg-muted",
          )}
        />
        {isKeyWanted ? "locked" : problem ? "offline" : capabilities ? `model ${capabilities.model}` : "connecting"}
      </span>
      {/* Only where nothing is being written. */}
      {capabilities?.asks_for_key && !isKeyWanted && route?.view === "library" && (
        <Tooltip text="Sign out">
          <Button variant="ghost" size="icon" aria-label="Sign out" onClick={leave}>
            <LogOut aria-hidden />
          </Button>
        </Tooltip>
      )}
      <ThemeToggle />
    </header>
  );
}

function NavLink({ href, isHere, children }: { href: string; isHere: boolean; children: string }) {
  return (
    <a
      href={href}
      aria-current={isHere ? "page" : undefined}
      className="rounded-lg px-3 py-2 text-muted transition-colors hover:text-ink underline-offset-8 aria-[current]:text-ink aria-[current]:underline aria-[current]:decoration-2 aria-[current]:decoration-accent"
    >
      {children}
    </a>
  );
}
