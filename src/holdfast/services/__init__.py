"""Services: agents and servers kept running; configuration and servers verified."""
