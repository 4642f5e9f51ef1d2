"use client";

import { ThemeToggle } from "@/components/theme-toggle";
import { hashOf, type Route } from "@/lib/route";
import { useServer } from "@/lib/store/server";
import { cn } from "@/lib/utils";

export function Header({ route }: { route: Route | null }) {
  const { capabilities, problem } = useServer();
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
            problem ? "bg-danger" : capabilities ? "bg-non-verbal" : "animate-pulse bg-muted",
          )}
        />
        {problem ? "offline" : capabilities ? `model ${capabilities.model}` : "connecting"}
      </span>
      <ThemeToggle />
    </header>
  );
}

function NavLink({ href, isHere, children }: { href: string; isHere: boolean; children: string }) {
  return (
    <a
      href={href}
      aria-current={isHere ? "page" : undefined}
      className="rounded-lg px-3 py-2 text-muted transition-colors hover:text-ink aria-[current]:font-medium aria-[current]:text-ink"
    >
      {children}
    </a>
  );
}
