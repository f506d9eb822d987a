"""Whether the liquidation feed is what it says: judged against tape and open interest. Pure."""
