//! What `wpkd check` says of the two sockets: who serves them now, and whether the
//! start would be refused for it.

use wpk_api::Outlook;
use wpk_api::settings::Problem;
use wpk_socket_file::{Names, SocketError, Standing, builtin_path, group_id, standing};

use crate::served::Served;

/// Looks at the sockets of the section, and at their group.
pub(crate) fn outlook(sockets: &[Served], take_over: bool, group: Option<&str>) -> Outlook {
    let mut outlook = Outlook::default();
    for socket in sockets {
        match standing(&socket.path) {
            Ok(standing) => look(take_over, socket, &standing, &mut outlook),
            Err(error @ SocketError::TooLong(_)) => {
                let problem = Problem::new(socket.key(), error.to_string());
                outlook.problems.push(problem);
            }
            // Whoever asks may not look into the folder.
            Err(error) => outlook.notes.push(format!("{} {error}", socket.name())),
        }
    }
    if let Some(Err(error)) = group.map(group_id) {
        let problem = Problem::new("group", error.to_string());
        outlook.problems.push(problem);
    }
    outlook
}

fn look(take_over: bool, socket: &Served, standing: &Standing, outlook: &mut Outlook) {
    let path = &socket.path;
    let told = standing.told(path, Names::MANAGER);
    let then = match standing {
        Standing::Another if take_over => format!(
            "; when wpkd starts it takes it over, and that is behind it at {}",
            builtin_path(path).display()
        ),
        Standing::Another => {
            let error = SocketError::Served(path.clone()).to_string();
            outlook.problems.push(Problem::new("take_over", error));
            return;
        }
        Standing::NoSocket => {
            let error = SocketError::NoSocket(path.clone()).to_string();
            outlook.problems.push(Problem::new(socket.key(), error));
            return;
        }
        Standing::Nobody => " yet; wpkd will when it starts".to_owned(),
        Standing::Left { .. } => "; the next start finds all that again".to_owned(),
        _ => String::new(),
    };
    outlook
        .notes
        .push(format!("{} {told}{then}", socket.name()));
}
