"""What is opened, wherever it is: which hosts, formats and protocols, logins, HTTP and RTSP."""
