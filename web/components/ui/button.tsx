import { cva, type VariantProps } from "class-variance-authority";
import type { ComponentProps } from "react";
import { cn } from "@/lib/utils";

const buttonVariants = cva(
  "inline-flex shrink-0 items-center justify-center gap-2 rounded-lg font-medium whitespace-nowrap transition-colors select-none disabled:opacity-45 aria-disabled:opacity-45 [&_svg]:size-4 [&_svg]:shrink-0",
  {
    variants: {
      variant: {
        solid: "bg-ink text-paper hover:not-disabled:bg-ink/85",
        outline: "border border-line bg-sheet hover:not-disabled:border-muted",
        ghost: "hover:not-disabled:bg-ink/6 aria-pressed:bg-ink/8",
        danger: "border border-line bg-sheet text-danger hover:not-disabled:border-danger",
      },
      size: {
        regular: "h-10 px-3.5 text-sm",
        small: "h-8 px-2.5 text-sm",
        large: "h-12 px-5",
        icon: "size-10",
        "small-icon": "size-8",
      },
    },
    defaultVariants: { variant: "outline", size: "regular" },
  },
);

export function Button({
  className,
  variant,
  size,
  ...props
}: ComponentProps<"button"> & VariantProps<typeof buttonVariants>) {
  return <button type="button" className={cn(buttonVariants({ variant, size }), className)} {...props} />;
}

/** A link that looks like a button. */
export function ButtonLink({
  className,
  variant,
  size,
  ...props
}: ComponentProps<"a"> & VariantProps<typeof buttonVariants>) {
  return <a className={cn(buttonVariants({ variant, size }), className)} {...props} />;
}
